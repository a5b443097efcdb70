//! Attestation evidence, its verification and sealing keys.
