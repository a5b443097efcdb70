//! The master: gateway, membership, health.
