module sui::clock;

public struct Clock has key {
    id: UID,
    timestamp_ms: u64,
}

public native fun timestamp_ms(clock: &Clock): u64;
