/// What one tunnel may cost, and when its peer counts as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams open at once.
    pub max_streams: usize,
    /// Bytes received and not read yet at which a stream's sender is asked to pause.
    pub pause_bytes: usize,
    /// Bytes at which it is asked to go on.
    pub resume_bytes: usize,
    /// Bytes at which a stream is closed, because its sender does not pause.
    pub stream_bytes: usize,
    /// Bytes received and not read yet over all streams; a stream whose data does not fit any more is closed.
    pub session_bytes: usize,
    /// Bytes waiting to be sent at which writers have to wait.
    pub send_bytes: usize,
    /// Time between two pings of a worker, milliseconds.
    pub ping_ms: u64,
    /// Time after which a peer that was not heard of is gone, milliseconds.
    pub silence_ms: u64,
    /// Time between two lists of open streams that a worker sends, milliseconds.
    pub sync_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_streams: 256,
            pause_bytes: 256 << 10,
            resume_bytes: 64 << 10,
            stream_bytes: 8 << 20,
            session_bytes: 32 << 20,
            send_bytes: 256 << 10,
            // As remotedialer's client does.
            ping_ms: 5_000,
            silence_ms: 20_000,
            sync_ms: 60_000,
        }
    }
}
