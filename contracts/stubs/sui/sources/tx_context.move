module sui::tx_context;

public struct TxContext has drop {
    sender: address,
    tx_hash: vector<u8>,
    epoch: u64,
    epoch_timestamp_ms: u64,
    ids_created: u64,
}

public native fun sender(self: &TxContext): address;
public native fun digest(self: &TxContext): &vector<u8>;
public native fun epoch(self: &TxContext): u64;
public native fun epoch_timestamp_ms(self: &TxContext): u64;
public native fun fresh_object_address(ctx: &mut TxContext): address;
