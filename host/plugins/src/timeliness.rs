/// Whether a consultation begins while there is time to ask the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeliness {
    /// The plugin is asked, and has its part of the time.
    InTime,
    /// The calls before it took too long: only a built-in plugin is asked.
    Late,
}
