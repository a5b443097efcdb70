// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module std::bcs;

public native fun to_bytes<MoveValue>(v: &MoveValue): vector<u8>;
