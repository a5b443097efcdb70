//! Machines with a TPM in software.
