//! The warm and the cold tier.
#![forbid(unsafe_code)]
