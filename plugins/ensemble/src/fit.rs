use std::rc::Rc;

use haggle_forecasting::{Prepared, Setting, candidates, history_of, no_value};
use haggle_gradient_boosting::{Boosted, Forest, Lesson, Training};
use haggle_sdk::{Fault, forecasting::Panel, types::Series};

use crate::{
    member::Member,
    model::Model,
    pool::{LEARNT, Pool},
    weights::Weighed,
};

/// A panel, fitted.
#[derive(Debug)]
pub struct FittedPanel {
    /// The forest that was learnt across the series; none if no series uses it.
    pub forest: Option<Rc<Forest>>,
    /// A model for each series, or why there is none.
    pub models: Vec<Result<Model, Fault>>,
}

/// A series whose model is being fitted.
struct Draft {
    series: Prepared,
    seasons: Vec<usize>,
    members: Vec<Member>,
    boosted: Boosted,
}

/// With fewer rows nothing is learnt across series.
const FEWEST_ROWS: usize = 500;

/// Fits all series of a panel together.
#[must_use]
pub fn fit(panel: &Panel) -> FittedPanel {
    let drafts: Vec<Result<Draft, Fault>> =
        panel.series.iter().map(|series| draft(series, panel)).collect();
    let learn = |share: f64| -> Option<Rc<Forest>> {
        let mut lesson = Lesson::default();
        for draft in drafts.iter().flatten() {
            let until = (draft.series.values.len() as f64 * share) as usize;
            draft.boosted.teach(&draft.series, until, drafts.len(), &mut lesson);
        }
        (lesson.rows() >= FEWEST_ROWS).then(|| lesson.learn(&Training::default()))
    };
    let early = learn(LEARNT);
    let all = early.as_ref().and_then(|_| learn(1.0));
    let model = |draft: Draft| {
        let Draft { series, seasons, mut members, mut boosted } = draft;
        let setting = setting(&seasons, panel);
        if let Some(early) = &early {
            boosted.attach(early);
            members.push(Member::Boosted(Box::new(boosted)));
        }
        let mut pool = Pool::of(members, &series, &setting);
        if let Some(all) = &all {
            pool.members.iter_mut().for_each(|member| member.attach(all));
        }
        Model::settle(&series, pool)
    };
    let models: Vec<Result<Model, Fault>> =
        drafts.into_iter().map(|draft| draft.map(model)).collect();
    let boosted = |one: &Weighed| matches!(one.member, Member::Boosted(_));
    let uses = |model: &Model| model.members.iter().any(boosted);
    let used = models.iter().flatten().any(uses);
    FittedPanel { forest: all.filter(|_| used), models }
}

fn draft(series: &Series, panel: &Panel) -> Result<Draft, Fault> {
    let history = history_of(series)?;
    let likely = panel.seasons_steps.first().map_or(0, |season| *season as usize);
    let series = Prepared::of(history, likely).ok_or_else(no_value)?;
    let seasons = candidates(&series.values, &panel.seasons_steps, series.step);
    let setting = setting(&seasons, panel);
    let mut members = Member::cheap(&series, &setting);
    let boosted = Boosted::untaught(&series, &setting);
    if boosted.season() > 1 {
        members.extend(Member::seasonal(&series, &setting, boosted.season()));
    }
    members.extend(Member::eventful(&series, &setting));
    Ok(Draft { series, seasons, members, boosted })
}

fn setting<'a>(seasons: &'a [usize], panel: &'a Panel) -> Setting<'a> {
    Setting { seasons, horizon: panel.horizon_steps.max(1) as usize, events: &panel.events }
}
