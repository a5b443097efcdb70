// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module std::string;

public struct String has copy, drop, store { bytes: vector<u8> }

public fun utf8(bytes: vector<u8>): String { String { bytes } }

public fun as_bytes(s: &String): &vector<u8> { &s.bytes }

public fun into_bytes(s: String): vector<u8> { let String { bytes } = s; bytes }

public fun is_empty(s: &String): bool { s.bytes.is_empty() }

public fun length(s: &String): u64 { s.bytes.length() }

public fun append(s: &mut String, r: String) { s.bytes.append(r.bytes) }
