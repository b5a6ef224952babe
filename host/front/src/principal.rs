/// The identity of a request's sender. The front adds it to the extensions of every request; handlers read it
/// with `axum::Extension<Principal>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Principal {
    /// A client without identification. Currently every client, because there is no authentication.
    Anonymous,
}
