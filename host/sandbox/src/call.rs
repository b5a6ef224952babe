use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::{Duration, Instant},
};

use wasmtime::{FrameInfo, Store, Trap, WasmBacktrace, component::Instance};

use crate::{
    call_outcome::CallOutcome,
    check,
    error::{CallError, Cause, Diagnostics},
    function::{Function, Guest},
    generation::{Exports, Generation},
    limits::Limits,
    metadata::Description,
    meter::{self, Meter, Pace, Stopped},
    runtime::Runtime,
    semaphore::Permit,
    state::State,
    text,
    types::Fault,
    wasi::VirtualWasi,
};

impl Generation {
    /// Calls a function of the plugin in a fresh instance, on the calling thread, which it may block up to
    /// the deadline.
    ///
    /// # Errors
    /// [`CallError`] when there is no answer, or an invalid one.
    pub fn call<F: Function>(&self, function: &F) -> Result<CallOutcome<F::Answer>, CallError> {
        self.call_within(function, Duration::MAX)
    }

    /// Like [`Generation::call`], but waits no longer than `time` for an instance and for the answer, rounded
    /// to milliseconds. The available time never changes an answer, only whether there is one.
    ///
    /// # Errors
    /// As [`Generation::call`].
    pub fn call_within<F: Function>(
        &self,
        function: &F,
        time: Duration,
    ) -> Result<CallOutcome<F::Answer>, CallError> {
        function.call(self, time)
    }

    pub(crate) fn call_guest<F: Guest>(
        &self,
        function: &F,
        time: Duration,
    ) -> Result<CallOutcome<F::Answer>, CallError> {
        let failed = |failure: Failure| self.error(F::NAME, failure);
        if !self.roles.contains(&F::ROLE) {
            return Err(failed(Cause::NoRole(F::ROLE).into()));
        }
        let context = function.context();
        let wasi = self.wasi.then_some((context.now_ms, context.seed));
        let (answer, mut run) = self
            .run(wasi, time, async |store, instance, exports| {
                function.invoke(store, instance, exports).await
            })
            .map_err(failed)?;
        let state = run.store.data_mut();
        let checked = answer
            .map_err(|fault: Fault| Cause::Fault(check::short(fault)))
            .and_then(|mut answer| function.check(&mut answer).map(|broken| (answer, broken)));
        let (answer, broken) = checked.map_err(|cause| {
            let diagnostics = state.diagnostics(Vec::new());
            failed(Failure { cause, diagnostics })
        })?;
        let fuel = state.meter.spent();
        let log = std::mem::take(&mut state.log);
        Ok(CallOutcome { answer, broken, fuel, log, log_dropped: state.log_dropped })
    }

    /// Calls the plugin's description of itself.
    pub(crate) fn describe(&self) -> Result<Description, CallError> {
        let wasi = self.wasi.then_some((0, 0));
        self.run(wasi, Duration::MAX, async |store, instance, exports| {
            exports.metadata.load(&mut *store, instance)?.call_describe(store).await
        })
        .map(|(description, _)| description)
        .map_err(|failure| self.error("metadata.describe", failure))
    }

    /// Lets the plugin validate its configuration. The inner error is the plugin's reason.
    pub(crate) fn validate_configuration(&self) -> Result<Result<(), String>, CallError> {
        let wasi = self.wasi.then_some((0, 0));
        self.run(wasi, Duration::MAX, async |store, instance, exports| {
            let guest = exports.metadata.load(&mut *store, instance)?;
            guest.call_validate_configuration(store, &self.configuration).await
        })
        .map(|(valid, _)| {
            valid.map_err(|mut reason| {
                text::cut(&mut reason, text::MOST);
                reason
            })
        })
        .map_err(|failure| self.error("metadata.validate-configuration", failure))
    }

    pub(crate) fn error(&self, function: &'static str, failure: Failure) -> CallError {
        let Failure { cause, diagnostics } = failure;
        let plugin = self.plugin.clone();
        CallError { plugin, generation: self.number, function, cause, diagnostics }
    }

    /// Runs a guest operation in a fresh instance, within the limits.
    fn run<T>(
        &self,
        wasi: Option<(u64, u64)>,
        time: Duration,
        guest: impl AsyncFn(&mut Store<State>, &Instance, &Exports) -> wasmtime::Result<T>,
    ) -> Result<(T, Run<'_>), Failure> {
        let Runtime { limits, instances, .. } = self.runtime.as_ref();
        let started = Instant::now();
        let left = || limits.within(time.saturating_sub(started.elapsed()));
        let wait = left().wait();
        let spare = if self.is_preferred { 0 } else { limits.instances / KEPT };
        let permit = instances.acquire_beyond(spare, wait).ok_or(Cause::Busy(wait))?;
        let pace = if time < limits.deadline() { meter::USUAL } else { meter::FASTEST };
        let (answer, store) = match self.attempt(wasi, &left(), &guest, |m| m.expect(pace))? {
            Ok(done) => done,
            // The guest was stopped before its deadline. A repeated call gives the same answer, but gets
            // further.
            Err(pace) => {
                let limits = left();
                let faster = pace.saturating_mul(2);
                let again = self.attempt(wasi, &limits, &guest, |meter| meter.allow(faster))?;
                again.map_err(|_| Cause::Deadline(limits.deadline()))?
            }
        };
        Ok((answer, Run { store, _permit: permit }))
    }

    /// Runs a guest operation once. If the guest was stopped before its deadline, the inner error is its pace
    /// instead of a cause.
    fn attempt<T>(
        &self,
        wasi: Option<(u64, u64)>,
        limits: &Limits,
        guest: &impl AsyncFn(&mut Store<State>, &Instance, &Exports) -> wasmtime::Result<T>,
        set: impl FnOnce(&mut Meter),
    ) -> Result<Result<(T, Store<State>), Pace>, Failure> {
        let Runtime { engine, .. } = self.runtime.as_ref();
        let instantiate =
            |error: wasmtime::Error| Failure::from(Cause::Instantiate(format!("{error:#}")));
        let wasi = wasi
            .map(|(now, seed)| VirtualWasi::new(now, seed, &self.grants))
            .transpose()
            .map_err(instantiate)?;
        let mut store = Store::new(engine, State::new(*limits, wasi));
        set(&mut store.data_mut().meter);
        store.limiter(|state| state);
        store.set_hostcall_fuel(limits.answer_bytes);
        let outcome = {
            let call = async {
                let instance = match self.pre.instantiate_async(&mut store).await {
                    Ok(instance) => instance,
                    Err(error) => return Err((true, error)),
                };
                guest(&mut store, &instance, &self.exports).await.map_err(|error| (false, error))
            };
            block_on(call, limits.deadline())
        };
        match outcome {
            Some(Ok(answer)) => Ok(Ok((answer, store))),
            Some(Err((instantiating, error))) => match error.downcast_ref() {
                Some(Stopped::Early(pace)) => Ok(Err(*pace)),
                _ => {
                    let cause = cause(&error, instantiating, store.data(), limits);
                    let diagnostics = store.data_mut().diagnostics(backtrace(&error));
                    Err(Failure { cause, diagnostics })
                }
            },
            None => {
                let diagnostics = store.data_mut().diagnostics(Vec::new());
                Err(Failure { cause: Cause::Deadline(limits.deadline()), diagnostics })
            }
        }
    }
}

/// The end of a call. Its instance lives, and occupies its slot, until this is dropped.
struct Run<'a> {
    store: Store<State>,
    _permit: Permit<'a>,
}

/// One of this many instances is reserved for built-in plugins.
const KEPT: u32 = 4;

/// The reason why there is no answer, with the guest's diagnostics.
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) diagnostics: Box<Diagnostics>,
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self { cause, diagnostics: Box::default() }
    }
}

/// Maximum length of a function name in a backtrace, in bytes.
const FUNCTION_NAME: usize = 120;

/// The functions that were running when a guest was stopped, innermost first. The meter's own functions are
/// unnamed.
pub(crate) fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let name = |frame: &FrameInfo| {
        let Some(name) = frame.func_name() else {
            return format!("function {}", frame.func_index());
        };
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut name: String = name.chars().map(plain).collect();
        text::cut(&mut name, FUNCTION_NAME);
        name
    };
    backtrace.frames().iter().map(name).collect()
}

fn cause(error: &wasmtime::Error, instantiating: bool, state: &State, limits: &Limits) -> Cause {
    match error.downcast_ref::<Stopped>() {
        Some(Stopped::Fuel) => return Cause::Fuel(limits.fuel),
        Some(Stopped::Deadline | Stopped::Early(_)) => {
            return Cause::Deadline(limits.deadline());
        }
        None => {}
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Cause::Stack,
        // A guest whose allocation fails ends in its own way, usually with a trap.
        _ if state.memory_refused => Cause::Memory(limits.memory_bytes),
        Some(trap) => Cause::Trap(trap.to_string()),
        None => {
            // The backtrace is reported separately.
            let mut said: Vec<String> = error.chain().map(ToString::to_string).collect();
            said.retain(|text| !text.starts_with("error while executing at wasm backtrace"));
            let text = said.join(": ");
            if text.contains("hostcall") {
                Cause::AnswerSize(limits.answer_bytes)
            } else if instantiating {
                Cause::Instantiate(text)
            } else {
                Cause::Trap(text)
            }
        }
    }
}

/// Wakes the thread that drives a call.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Drives a future on this thread until it is done, or drops it when the time is up.
fn block_on<T>(future: impl Future<Output = T>, limit: Duration) -> Option<T> {
    let mut future = pin!(future);
    let wake = Arc::new(Unpark { thread: std::thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&wake));
    let mut context = Context::from_waker(&waker);
    let deadline = Instant::now().checked_add(limit);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        // If the clock cannot represent the deadline, wait one hour at a time.
        let left = deadline.map_or(Duration::from_secs(3600), |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return None;
        }
        if !wake.woken.swap(false, Ordering::Acquire) {
            std::thread::park_timeout(left);
        }
    }
}
