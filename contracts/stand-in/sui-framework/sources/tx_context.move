// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::tx_context;

#[allow(unused_field)]
public struct TxContext has drop {
    sender: address,
    tx_hash: vector<u8>,
    epoch: u64,
    epoch_timestamp_ms: u64,
    ids_created: u64,
}

public fun sender(_self: &TxContext): address { native_sender() }

native fun native_sender(): address;
public fun digest(self: &TxContext): &vector<u8> { &self.tx_hash }

public fun fresh_object_address(_ctx: &mut TxContext): address { fresh_id() }

native fun fresh_id(): address;
#[test_only]
public fun new_from_hint(addr: address, hint: u64): TxContext {
    let mut tx_hash = std::bcs::to_bytes(&hint);
    while (tx_hash.length() < 32) tx_hash.push_back(0);
    replace(addr, tx_hash, 0, 0, 0, 1000, 1000, 1000000, vector[]);
    TxContext { sender: @0x0, tx_hash, epoch: 0, epoch_timestamp_ms: 0, ids_created: 0 }
}

#[test_only]
native fun replace(
    sender: address,
    tx_hash: vector<u8>,
    epoch: u64,
    epoch_timestamp_ms: u64,
    ids_created: u64,
    rgp: u64,
    gas_price: u64,
    gas_budget: u64,
    sponsor: vector<address>,
);
