use wasmtime::{ResourceLimiter, component::HasData};
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::{
    contract::log,
    error::Diagnostics,
    limits::Limits,
    log_line::{LogLevel, LogLine},
    meter::Meter,
    wasi::VirtualWasi,
};

/// The host's state for one instance, which lives for one call.
pub(crate) struct State {
    limits: Limits,
    pub(crate) meter: Meter,
    /// Memory allocated so far, in bytes.
    memory: usize,
    /// Whether an allocation was refused.
    pub(crate) memory_refused: bool,
    pub(crate) log: Vec<LogLine>,
    /// Number of lines dropped beyond the limit.
    pub(crate) log_dropped: usize,
    /// Created on first use if the guest does not import WASI.
    pub(crate) wasi: Option<VirtualWasi>,
}

impl State {
    pub(crate) fn new(limits: Limits, wasi: Option<VirtualWasi>) -> Self {
        let meter = Meter::new(limits.fuel, limits.deadline());
        Self {
            limits,
            meter,
            memory: 0,
            memory_refused: false,
            log: Vec::new(),
            log_dropped: 0,
            wasi,
        }
    }
}

impl State {
    /// Collects the diagnostics of a call without an answer.
    pub(crate) fn diagnostics(&mut self, backtrace: Vec<String>) -> Box<Diagnostics> {
        Box::new(Diagnostics {
            log: std::mem::take(&mut self.log),
            log_dropped: self.log_dropped,
            output: self.wasi.as_ref().map(VirtualWasi::output).unwrap_or_default(),
            backtrace,
        })
    }

    pub(crate) fn wasi(&mut self) -> &mut VirtualWasi {
        self.wasi.get_or_insert_with(VirtualWasi::none)
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_sub(current).saturating_add(desired);
        let granted = memory <= self.limits.memory_bytes;
        if granted {
            self.memory = memory;
        } else {
            self.memory_refused = true;
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= crate::engine::TABLE_ELEMENTS)
    }
}

impl HasData for State {
    type Data<'a> = &'a mut Self;
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) {
        if self.log.len() >= self.limits.log_lines {
            self.log_dropped += 1;
            return;
        }
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        let mut left = self.limits.log_line_bytes;
        let fits = |c: &char| {
            let fits = c.len_utf8() <= left;
            left = left.saturating_sub(c.len_utf8());
            fits
        };
        // A guest must not be able to forge log lines or control a terminal.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let message = message.chars().take_while(fits).map(plain).collect();
        self.log.push(LogLine { level, message });
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi().view()
    }
}

#[cfg(test)]
mod tests {
    use super::State;
    use crate::{Limits, contract::log::Host, contract::log::Level};
    use wasmtime::ResourceLimiter;

    #[test]
    fn log_lines_are_cut_cleaned_and_counted() {
        let limits = Limits { log_lines: 1, log_line_bytes: 4, ..Limits::default() };
        let mut state = State::new(limits, None);
        state.write(Level::Warn, "a\nbäc".to_owned());
        state.write(Level::Warn, "more".to_owned());
        assert_eq!(state.log[0].message, "a b");
        assert_eq!((state.log.len(), state.log_dropped), (1, 1));
    }

    #[test]
    fn memory_is_limited_over_all_memories() {
        let limits = Limits { memory_bytes: 100, ..Limits::default() };
        let mut state = State::new(limits, None);
        assert!(state.memory_growing(0, 60, None).unwrap());
        assert!(!state.memory_growing(0, 60, None).unwrap());
        assert!(state.memory_growing(60, 100, None).unwrap());
        assert!(state.memory_refused);
    }
}
