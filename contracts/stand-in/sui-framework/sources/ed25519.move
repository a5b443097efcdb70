// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::ed25519;

public native fun ed25519_verify(signature: &vector<u8>, public_key: &vector<u8>, msg: &vector<u8>): bool;
