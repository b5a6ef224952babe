/// Who makes a request. The front puts it into the extensions of every request, where handlers find it
/// with `axum::Extension<Principal>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Principal {
    /// Somebody who has not said who they are. Everybody, for as long as nothing authenticates.
    Anonymous,
}
