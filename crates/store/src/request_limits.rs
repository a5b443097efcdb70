/// What one client may send at once: etcd's flags with etcd's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    max_request_bytes: usize,
    max_txn_ops: usize,
    max_concurrent_streams: u32,
}

/// etcd's `grpcOverheadBytes`: what a message may have beyond the request in it.
const OVERHEAD_BYTES: usize = 512 << 10;

impl RequestLimits {
    /// etcd's `--max-request-bytes`.
    pub const DEFAULT_MAX_REQUEST_BYTES: usize = 1_572_864;
    /// etcd's `--max-txn-ops`.
    pub const DEFAULT_MAX_TXN_OPS: usize = 128;
    /// etcd's `--max-concurrent-streams`; HTTP/2 knows no more than half of it.
    pub const DEFAULT_MAX_CONCURRENT_STREAMS: u32 = u32::MAX;
    /// The log must be able to read back what it wrote; etcd warns from 10 MiB on.
    pub const MOST_REQUEST_BYTES: usize = 32 << 20;
    /// Whether a transaction writes a key twice takes the square of its operations to find out.
    pub const MOST_TXN_OPS: usize = 10_000;

    /// Limits in etcd's order: bytes of a request, operations of a transaction, streams of a connection.
    ///
    /// # Errors
    /// A sentence with the flag that is zero or too high.
    pub fn new(
        max_request_bytes: usize,
        max_txn_ops: usize,
        max_concurrent_streams: u32,
    ) -> Result<Self, String> {
        let within = |flag: &str, value: usize, most: usize| match value {
            0 => Err(format!("{flag} 0: nothing could be asked; expected 1 to {most}")),
            value if value > most => Err(format!("{flag} {value}: expected at most {most}")),
            _ => Ok(()),
        };
        within("--max-request-bytes", max_request_bytes, Self::MOST_REQUEST_BYTES)?;
        within("--max-txn-ops", max_txn_ops, Self::MOST_TXN_OPS)?;
        let streams = usize::try_from(max_concurrent_streams).unwrap_or(usize::MAX);
        within("--max-concurrent-streams", streams, usize::MAX)?;
        Ok(Self { max_request_bytes, max_txn_ops, max_concurrent_streams })
    }

    /// Bytes of a request as it goes into the log.
    pub(crate) fn request_bytes(&self) -> usize {
        self.max_request_bytes
    }

    /// Bytes of a message on the wire.
    pub(crate) fn message_bytes(&self) -> usize {
        self.max_request_bytes + OVERHEAD_BYTES
    }

    /// Operations of a transaction.
    pub(crate) fn txn_ops(&self) -> usize {
        self.max_txn_ops
    }

    /// Streams that a connection may have open.
    pub(crate) fn concurrent_streams(&self) -> u32 {
        self.max_concurrent_streams.min(u32::MAX >> 1)
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_request_bytes: Self::DEFAULT_MAX_REQUEST_BYTES,
            max_txn_ops: Self::DEFAULT_MAX_TXN_OPS,
            max_concurrent_streams: Self::DEFAULT_MAX_CONCURRENT_STREAMS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_too_much_are_refused_with_the_flag() {
        let refused = |bytes, ops, streams| RequestLimits::new(bytes, ops, streams).unwrap_err();
        assert!(refused(0, 128, 1).starts_with("--max-request-bytes 0"));
        assert!(refused((32 << 20) + 1, 128, 1).contains("at most 33554432"));
        assert!(refused(1, 10_001, 1).starts_with("--max-txn-ops 10001"));
        assert!(refused(1, 1, 0).starts_with("--max-concurrent-streams 0"));
        assert_eq!(RequestLimits::new(1_572_864, 128, u32::MAX), Ok(RequestLimits::default()));
    }
}
