//! What the core is asked and told, and waits for.

use std::net::SocketAddr;

use haggle_control::{
    Answer, Caller, Change, ControlError, Input, Principal, Progress, Put, ReclaimRequest,
    Reclaimed, ScalingRequest, ScalingVerdict, ScalingWindow,
};
use haggle_model::{EndpointHost, Name, Span};
use haggle_negotiate::{Message, MessageId, Party};
use tokio::sync::oneshot;

use crate::{
    HostError,
    callers::Answered,
    host::{Host, Mode},
    lock::lock,
    reactor::Mail,
};

impl Host {
    /// Changes a document.
    ///
    /// # Errors
    /// [`HostError::Control`] saying which field is wrong, or [`HostError::Endpoint`].
    pub async fn change(&self, _by: Principal, change: Change) -> Result<Put, HostError> {
        self.check_endpoint(&change)?;
        let reaches = matches!(change, Change::PutPolicy(_));
        let change = Box::new(change);
        let answer = self.ask(move |caller| Input::Change { caller, change }).await?;
        if reaches {
            let back = self.snapshot().catalog().longest_history();
            self.shared().history().reach(back + Span::from_mins(60));
        }
        match answer {
            Answer::Put(put) => Ok(put),
            _ => Err(unexpected()),
        }
    }

    /// Refuses an endpoint by its address already when it is described, where the address is in it.
    fn check_endpoint(&self, change: &Change) -> Result<(), HostError> {
        let (what, name, endpoint) = match change {
            Change::PutService(service) => ("service", &service.name, &service.endpoint),
            Change::PutProvider(provider) => ("provider", &provider.name, &provider.endpoint),
            _ => return Ok(()),
        };
        let Some(endpoint) = endpoint else { return Ok(()) };
        let EndpointHost::Address(address) = endpoint.host() else { return Ok(()) };
        let address = SocketAddr::new(address, endpoint.port());
        let checked = self.shared().addresses.check(address);
        checked.map_err(|cause| HostError::Endpoint { what, name: name.clone(), cause })
    }

    /// Asks to scale, and waits until all of it is negotiated.
    ///
    /// # Errors
    /// [`HostError::Control`] where the request makes no sense. A denial is no error.
    pub async fn request(
        &self,
        _by: Principal,
        request: ScalingRequest,
    ) -> Result<ScalingVerdict, HostError> {
        match self.ask_to_scale(request, false).await? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(unexpected()),
        }
    }

    /// Asks to scale, and says where that stands once it is durable.
    ///
    /// # Errors
    /// As [`Host::request`].
    pub async fn accept(
        &self,
        _by: Principal,
        request: ScalingRequest,
    ) -> Result<Progress, HostError> {
        match self.ask_to_scale(request, true).await? {
            Answer::Accepted(progress) => Ok(progress),
            Answer::Verdict(verdict) => {
                let negotiation = verdict.negotiation.clone();
                Ok(Progress { negotiation, pending: false, verdict: Some(verdict) })
            }
            _ => Err(unexpected()),
        }
    }

    async fn ask_to_scale(
        &self,
        request: ScalingRequest,
        respond_early: bool,
    ) -> Result<Answer, HostError> {
        let (arrived, request) = (self.now(), Box::new(request));
        self.ask(move |caller| Input::Request { caller, request, arrived, respond_early }).await
    }

    /// Cancels a scaling request. The second time changes nothing.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn cancel(&self, _by: Principal, id: &str) -> Result<(), HostError> {
        let asked = id.to_owned();
        match self.ask(move |caller| Input::Cancel { caller, id: asked }).await {
            Ok(_) => Ok(()),
            // One that is over has nothing left to cancel.
            Err(HostError::Control(ControlError::NotFound { .. })) => self.progress(id).map(drop),
            Err(error) => Err(error),
        }
    }

    /// Changes a reservation in place: negotiates for the new window, and keeps the old one if that is denied.
    ///
    /// # Errors
    /// [`HostError::Control`].
    pub async fn amend(
        &self,
        _by: Principal,
        id: &str,
        window: ScalingWindow,
    ) -> Result<ScalingVerdict, HostError> {
        let (id, window) = (id.to_owned(), Box::new(window));
        match self.ask(move |caller| Input::Amend { caller, id, window }).await? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(unexpected()),
        }
    }

    /// A provider takes capacity back.
    ///
    /// # Errors
    /// [`HostError::Control`].
    pub async fn reclaim(
        &self,
        _by: Principal,
        provider: Name,
        request: ReclaimRequest,
    ) -> Result<Reclaimed, HostError> {
        let (name, unit) = (provider.clone(), request.unit.clone());
        let answer = self.ask(move |caller| Input::Reclaim { caller, provider, request }).await;
        match answer.map_err(|error| self.name_units(error, name, unit))? {
            Answer::Reclaimed(reclaimed) => Ok(reclaimed),
            _ => Err(unexpected()),
        }
    }

    /// A provider has back what it had taken of a unit.
    ///
    /// # Errors
    /// [`HostError::Control`].
    pub async fn restock(
        &self,
        _by: Principal,
        provider: Name,
        unit: Name,
    ) -> Result<(), HostError> {
        let (name, asked) = (provider.clone(), unit.clone());
        let answer = self.ask(move |caller| Input::Restock { caller, provider, unit }).await;
        answer.map(drop).map_err(|error| self.name_units(error, name, asked))
    }

    /// Where a provider has no such unit: those that it has.
    fn name_units(&self, error: HostError, provider: Name, unit: Name) -> HostError {
        let HostError::Control(ControlError::NotFound { what: "unit", .. }) = error else {
            return error;
        };
        let snapshot = self.snapshot();
        let known = snapshot.catalog().provider(&provider);
        let units = known.map(|known| known.units.iter().map(|unit| unit.id.clone()).collect());
        HostError::NoUnit { provider, unit, units: units.unwrap_or_default() }
    }

    /// Takes in a message of a party.
    ///
    /// # Errors
    /// [`HostError::Control`] saying why it changes nothing.
    pub async fn receive(&self, message: Message) -> Result<(), HostError> {
        let message = Box::new(message);
        self.ask(move |caller| Input::Message { caller, message }).await.map(drop)
    }

    /// Takes in that a party has sent what cannot be read; the error says so.
    pub async fn receive_unreadable(
        &self,
        session: String,
        from: Party,
        about: MessageId,
        why: String,
    ) -> HostError {
        let asked = self.ask(move |caller| {
            let caller = Some(caller);
            Input::Unreadable { caller, session, from, about, why }
        });
        asked.await.err().unwrap_or_else(unexpected)
    }

    /// From now on nobody waits for a verdict: who waits for one gets [`HostError::Stopped`] as soon as the
    /// request is durable. For a host that is about to be closed.
    pub fn stop_waiting(&self) {
        match &self.mode {
            Mode::Inline(reactor) => lock(reactor).take(Mail::Release),
            // A host that closes answers nobody.
            Mode::Live { mail, .. } => drop(mail.send(Mail::Release)),
        }
    }

    /// Tells the core that something has happened. A live host takes it in when its turn comes.
    pub(crate) async fn happened(&self, input: Input) {
        match &self.mode {
            Mode::Inline(reactor) => lock(reactor).take(Mail::Happened(input)),
            // A host that closes listens to nobody.
            Mode::Live { mail, .. } => drop(mail.send(Mail::Happened(input))),
        }
    }

    /// Asks the core and waits for its answer, which holds no thread of a live host.
    pub(crate) async fn ask(
        &self,
        input: impl FnOnce(Caller) -> Input + Send + 'static,
    ) -> Result<Answer, HostError> {
        let (reply, answer) = oneshot::channel::<Answered>();
        let mail = Mail::Ask(Box::new(input), reply);
        match &self.mode {
            Mode::Inline(reactor) => lock(reactor).take(mail),
            Mode::Live { mail: core, .. } => {
                core.send(mail).map_err(|_| HostError::Closing)?;
            }
        }
        let answer = answer.await.map_err(|_| HostError::Closing)?;
        Ok(*answer?)
    }
}

fn unexpected() -> HostError {
    HostError::Task("the core gave another kind of answer than was asked for".to_owned())
}
