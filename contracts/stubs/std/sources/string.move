module std::string;

public struct String has copy, drop, store {
    bytes: vector<u8>,
}

public native fun utf8(bytes: vector<u8>): String;
public native fun as_bytes(s: &String): &vector<u8>;
public native fun into_bytes(s: String): vector<u8>;
public native fun is_empty(s: &String): bool;
public native fun length(s: &String): u64;
public native fun append(s: &mut String, r: String);
