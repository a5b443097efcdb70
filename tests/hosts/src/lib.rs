//! Nothing but tests lives here: see `scenarios/`.
