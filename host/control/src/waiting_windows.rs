//! Windows of scaling requests wait until there is room to negotiate for them.
//!
//! Each negotiation examines every provided unit. Many concurrent negotiations would take much memory, and
//! opening them in one step would block the core. The open negotiations together therefore examine a
//! bounded number of units. The core opens the other windows tick by tick as these end.

use haggle_model::Timestamp;

use crate::{
    State, purpose::Origin, request::Status, state::Unopened, step::Step, verdict::WindowVerdict,
};

/// The maximum number of units that the concurrent negotiations for windows examine in total. One
/// negotiation may always be open.
const MOST_UNITS_AT_ONCE: usize = 20_000;

impl State {
    /// Whether another window may be negotiated now.
    pub(crate) fn has_room_for_window(&self) -> bool {
        let units = self.catalog.units().saturating_mul(self.open_windows.saturating_add(1));
        self.open_windows == 0 || units <= MOST_UNITS_AT_ONCE
    }

    /// Whether a waiting window can be negotiated now.
    pub(crate) fn can_open_window(&self) -> bool {
        !self.unopened.is_empty() && self.has_room_for_window()
    }
}

impl Step<'_> {
    /// Opens negotiations for waiting windows while there is room.
    pub(crate) fn open_windows(&mut self) {
        while self.state.can_open_window()
            && let Some(next) = self.state.unopened.pop_front()
        {
            self.open_window(&next);
        }
    }

    /// Opens the negotiation for one window, unless the window was cancelled in the meantime.
    fn open_window(&mut self, Unopened { request: id, part: place, number }: &Unopened) {
        let Some(request) = self.state.requests.get(id).cloned() else { return };
        let Some(part) = request.parts.get(*place).filter(|part| part.status == Status::Open)
        else {
            return;
        };
        let Some((service, policy)) = self.described(&request.service) else { return };
        let deadline: Timestamp =
            request.arrived + request.deadline.unwrap_or(policy.negotiation.deadline);
        let opened = if self.now >= deadline {
            Err(format!(
                "no agreement by the deadline, {deadline}: other windows were negotiated until then; ask for fewer at once, or give a longer `deadline`"
            ))
        } else {
            let origin = Origin::Request { id: id.clone(), part: *place };
            let opened = self.open_part(&request, part, (*number, origin), &service, &policy, &[]);
            opened.map_err(|error| error.to_string())
        };
        if let Err(why) = opened {
            let name = &service.name;
            let denied = WindowVerdict::denied(name, None, request.from, part.window, why);
            self.close_part(id, *place, denied);
        }
    }
}
