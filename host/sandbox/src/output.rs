//! Keeps the end of a guest's standard output and standard error, where a runtime reports why it aborts.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// Length of the kept output, in bytes.
const KEPT: usize = 4 << 10;
/// Maximum length of one write, in bytes.
const PERMIT: usize = 64 << 10;

/// Both streams, interleaved in the order in which the guest wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<Mutex<VecDeque<u8>>>);

impl Output {
    /// Returns the end of the output. Control characters other than line breaks are replaced, so that a guest
    /// cannot control a terminal.
    pub(crate) fn text(&self) -> String {
        let bytes: Vec<u8> = self.kept().iter().copied().collect();
        let plain = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
        // Skip a partial character at the beginning.
        let begins = bytes.iter().position(|byte| byte & 0xc0 != 0x80).unwrap_or(bytes.len());
        let whole = bytes.get(begins..).unwrap_or_default();
        String::from_utf8_lossy(whole).trim_end().chars().map(plain).collect()
    }

    fn append(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        let new = bytes.get(bytes.len().saturating_sub(KEPT)..).unwrap_or_default();
        let surplus = (kept.len() + new.len()).saturating_sub(KEPT);
        kept.drain(..surplus);
        kept.extend(new);
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Output};

    #[test]
    fn the_end_is_kept() {
        let output = Output::default();
        output.append(b"first\n");
        output.append("sécond\x1b[31m\n".as_bytes());
        assert_eq!(output.text(), "first\nsécond [31m");
        output.append(&[b'x'; KEPT + 1]);
        assert_eq!(output.text(), "x".repeat(KEPT));
        output.append(b"y");
        assert_eq!(output.text(), "x".repeat(KEPT - 1) + "y");
        output.append("ä".repeat(KEPT).as_bytes());
        output.append(b"z");
        assert_eq!(output.text(), "ä".repeat(KEPT / 2 - 1) + "z");
    }
}
