//! Requests and inputs to the core, and waiting for its answers.

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
    /// [`HostError::Control`] with the invalid field, or [`HostError::Endpoint`].
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

    /// Refuses a document whose endpoint contains a forbidden address.
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

    /// Requests scaling, and waits for the verdict.
    ///
    /// # Errors
    /// [`HostError::Control`] when the request is invalid. A denial is not an error.
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

    /// Requests scaling, and returns its progress as soon as the request is durable.
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

    /// Cancels a scaling request. Repeating it has no effect.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn cancel(&self, _by: Principal, id: &str) -> Result<(), HostError> {
        let asked = id.to_owned();
        match self.ask(move |caller| Input::Cancel { caller, id: asked }).await {
            Ok(_) => Ok(()),
            // A request that has ended has nothing left to cancel.
            Err(HostError::Control(ControlError::NotFound { .. })) => self.progress(id).map(drop),
            Err(error) => Err(error),
        }
    }

    /// Changes a reservation in place: negotiates the new window, and keeps the old one if that is denied.
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

    /// Reclaims capacity for a provider.
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

    /// Cancels a provider's reclaims of a unit.
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

    /// Adds the provider's units to an error about an unknown unit.
    fn name_units(&self, error: HostError, provider: Name, unit: Name) -> HostError {
        let HostError::Control(ControlError::NotFound { what: "unit", .. }) = error else {
            return error;
        };
        let snapshot = self.snapshot();
        let known = snapshot.catalog().provider(&provider);
        let units = known.map(|known| known.units.iter().map(|unit| unit.id.clone()).collect());
        HostError::NoUnit { provider, unit, units: units.unwrap_or_default() }
    }

    /// Delivers a party's message to the core.
    ///
    /// # Errors
    /// [`HostError::Control`] when the message changes nothing, with the reason.
    pub async fn receive(&self, message: Message) -> Result<(), HostError> {
        let message = Box::new(message);
        self.ask(move |caller| Input::Message { caller, message }).await.map(drop)
    }

    /// Reports an unreadable message of a party to the core. The returned error gives the reason.
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

    /// Stops waiting for verdicts: a waiting caller gets [`HostError::Stopped`] as soon as its request is
    /// durable. For a host that is about to close.
    pub fn stop_waiting(&self) {
        match &self.mode {
            Mode::Inline(reactor) => lock(reactor).take(Mail::Release),
            // A closing host answers nobody.
            Mode::Live { mail, .. } => drop(mail.send(Mail::Release)),
        }
    }

    /// Sends an event to the core. A live host processes it in order of arrival.
    pub(crate) async fn happened(&self, input: Input) {
        match &self.mode {
            Mode::Inline(reactor) => lock(reactor).take(Mail::Happened(input)),
            // A closing host ignores events.
            Mode::Live { mail, .. } => drop(mail.send(Mail::Happened(input))),
        }
    }

    /// Sends a request to the core and awaits its answer. In a live host this blocks no thread.
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
