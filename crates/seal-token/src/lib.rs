//! The seal token: wire format, mint and verify, pure.
