//! Typed client of the k3s_daas contracts over Sui gRPC.
