//! The embedded Sui development chain.
