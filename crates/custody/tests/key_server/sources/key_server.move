/// Stands in for the package of Seal in tests: objects of the layout that its key servers have on chain, and nothing else of it.
module seal_stand_in::key_server;

use std::string::String;
use sui::dynamic_field;

public struct KeyServer has key {
    id: UID,
    first_version: u64,
    last_version: u64,
}

public struct KeyServerV1 has store {
    name: String,
    url: String,
    key_type: u8,
    pk: vector<u8>,
}

public fun register(name: String, url: String, key_type: u8, pk: vector<u8>, ctx: &mut TxContext) {
    let mut server = KeyServer { id: object::new(ctx), first_version: 1, last_version: 1 };
    dynamic_field::add(&mut server.id, 1u64, KeyServerV1 { name, url, key_type, pk });
    transfer::share_object(server);
}
