use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::connection::Connection;

/// How many bytes to keep reading from a peer after the last response. Closing earlier would reset the
/// connection, and the peer might not see why it was refused.
const LINGER_BYTES: usize = 1 << 20;

/// A socket that reports its activity to its connection.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
    discarded: usize,
    /// The output that replaces the HTTP library's own response.
    instead: Vec<u8>,
}

impl Watched {
    pub(crate) const fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection, discarded: 0, instead: Vec::new() }
    }

    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.connection.wait_to_write(),
            Poll::Ready(Ok(bytes)) => self.connection.written(*bytes),
            Poll::Ready(Err(_)) => {}
        }
        written
    }

    /// Replaces bytes that the HTTP library writes by itself. Returns whether it did.
    fn replace(&mut self, bytes: &[u8]) -> bool {
        let Some(problem) = self.connection.own_words(bytes) else { return false };
        self.instead = problem.to_wire();
        true
    }

    /// Writes the replacement.
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.instead);
            match ready!(self.noted(written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => drop(self.instead.drain(..bytes)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(problem) = self.connection.last_words() {
            // The buffer is empty, so this does not wait. If it fails, the peer sees the connection close.
            let _ = self.stream.try_write(&problem.to_wire());
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let has_room = buffer.remaining() > 0;
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.connection.read();
        } else if has_room && !self.connection.end(context.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replace(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.first().is_some_and(|first| self.replace(first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.connection.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if !self.connection.close() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 8 << 10];
        while self.discarded < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            match buffer.filled().len() {
                0 => break,
                bytes => self.discarded += bytes,
            }
        }
        Poll::Ready(Ok(()))
    }
}
