use haggle_model::Span;

/// How the store weighs memory, space and safety.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// What an acknowledgement stands for.
    pub durability: Durability,
    /// The size of sled's page cache in bytes on disk; a page takes a few times as much in memory.
    pub cache_bytes: u64,
    /// How many bytes may wait to be written before `commit` blocks.
    pub queue_bytes: usize,
    /// How long something committed lazily may stay unflushed.
    pub lazy_flush: Span,
    /// How long a flush takes at least: on a quick device it shows how a slower one would do. Nothing by
    /// default.
    pub least_flush: Span,
    /// The most bytes that journalled calls and their blobs take, before they are compressed; the oldest go
    /// first.
    pub journal_bytes: u64,
    /// The most calls that the journal keeps; the oldest go first.
    pub journal_calls: u64,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process at any moment, and a loss of power: the file is synced with the device.
    #[default]
    PowerLoss,
    /// The end of the process at any moment. On Linux, sled's own flush is `sync_file_range`, which writes
    /// the data but neither the file's metadata nor the cache of the device.
    ProcessCrash,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            cache_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            lazy_flush: Span::from_millis(500),
            least_flush: Span::from_millis(0),
            journal_bytes: 256 << 20,
            journal_calls: 100_000,
        }
    }
}
