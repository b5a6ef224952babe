/// Whether a consultation begins early enough to call the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeliness {
    /// The plugin is called, with its share of the time.
    InTime,
    /// Earlier calls took too long: only a built-in plugin is called.
    Late,
}
