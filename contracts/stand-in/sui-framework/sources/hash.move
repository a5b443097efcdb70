// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::hash;

public native fun blake2b256(data: &vector<u8>): vector<u8>;
public native fun keccak256(data: &vector<u8>): vector<u8>;
