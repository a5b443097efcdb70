/// Objects, dynamic fields, tables and coins. Identifiers depend on the transaction, so results do not hold any.
module oracle::objects;

use oracle::data;
use std::bcs;
use std::string::String;
use sui::coin::{Self, Coin};
use sui::dynamic_field;
use sui::dynamic_object_field;
use sui::event;
use sui::sui::SUI;
use sui::table;

public struct Thing has key, store {
    id: UID,
    value: u64,
}

public struct Happened has copy, drop {
    value: u64,
}

fun thing(value: u64, ctx: &mut TxContext): Thing { Thing { id: object::new(ctx), value } }

fun unmake(thing: Thing): u64 {
    let Thing { id, value } = thing;
    id.delete();
    value
}

public fun field(value: u64, key: u64, other: u64, ctx: &mut TxContext): (u64, bool, bool, u64) {
    let mut parent = thing(value, ctx);
    dynamic_field::add(&mut parent.id, key, value);
    let x: &mut u64 = dynamic_field::borrow_mut(&mut parent.id, key);
    *x = *x + 1;
    let there = dynamic_field::exists_(&parent.id, key);
    let elsewhere = dynamic_field::exists_(&parent.id, other);
    let got: u64 = dynamic_field::remove(&mut parent.id, other);
    (got, there, elsewhere, unmake(parent))
}

public fun field_twice(key: u64, ctx: &mut TxContext) {
    let mut parent = thing(0, ctx);
    dynamic_field::add(&mut parent.id, key, true);
    dynamic_field::add(&mut parent.id, key, false);
    unmake(parent);
}

public fun field_of_wrong_type(key: u64, ctx: &mut TxContext): u64 {
    let mut parent = thing(0, ctx);
    dynamic_field::add(&mut parent.id, key, true);
    let x: u64 = dynamic_field::remove(&mut parent.id, key);
    unmake(parent) + x
}

public fun field_keys(ctx: &mut TxContext): vector<bool> {
    let mut parent = thing(0, ctx);
    dynamic_field::add(&mut parent.id, 1u8, 1u8);
    dynamic_field::add(&mut parent.id, 1u64, 2u8);
    dynamic_field::add(&mut parent.id, b"1", 3u8);
    dynamic_field::add(&mut parent.id, b"1".to_string(), 4u8);
    let found = vector[
        dynamic_field::exists_(&parent.id, 1u8),
        dynamic_field::exists_(&parent.id, 1u16),
        dynamic_field::exists_(&parent.id, 1u64),
        *dynamic_field::borrow<String, u8>(&parent.id, b"1".to_string()) == 4,
        *dynamic_field::borrow<vector<u8>, u8>(&parent.id, b"1") == 3,
    ];
    let _: u8 = dynamic_field::remove(&mut parent.id, 1u8);
    let _: u8 = dynamic_field::remove(&mut parent.id, 1u64);
    let _: u8 = dynamic_field::remove(&mut parent.id, b"1");
    let _: u8 = dynamic_field::remove(&mut parent.id, b"1".to_string());
    unmake(parent);
    found
}

public fun object_field(value: u64, ctx: &mut TxContext): (u64, bool, bool) {
    let mut parent = thing(1, ctx);
    let child = thing(value, ctx);
    dynamic_object_field::add(&mut parent.id, b"child", child);
    let inside: &mut Thing = dynamic_object_field::borrow_mut(&mut parent.id, b"child");
    inside.value = inside.value * 2;
    let there = dynamic_object_field::exists_(&parent.id, b"child");
    let child: Thing = dynamic_object_field::remove(&mut parent.id, b"child");
    let still = dynamic_object_field::exists_(&parent.id, b"child");
    unmake(parent);
    (unmake(child), there, still)
}

public fun table(a: u64, b: u64, gone: u64, ctx: &mut TxContext): (u64, u64, bool) {
    let mut t = table::new<u64, vector<u64>>(ctx);
    t.add(a, vector[a]);
    t.add(b, vector[b]);
    t[a].push_back(5);
    let length = t[a].length();
    let v = t.remove(gone);
    let (entries, contains) = (t.length(), t.contains(a));
    t.add(gone, v);
    t.drop();
    (length, entries, contains)
}

public fun coins(c: &mut Coin<SUI>, part: u64, ctx: &mut TxContext): (u64, u64, u64) {
    let d = c.split(part, ctx);
    let (left, taken) = (c.value(), d.value());
    c.join(d);
    (left, taken, c.value())
}

public fun balances(c: &mut Coin<SUI>, part: u64, ctx: &mut TxContext): vector<vector<u8>> {
    let mut b = c.balance_mut().split(part);
    let taken = coin::take(&mut b, part / 2, ctx);
    let found = vector[bcs::to_bytes(&b), bcs::to_bytes(taken.balance()), bcs::to_bytes(c)];
    c.balance_mut().join(b);
    c.join(taken);
    found
}

public fun context(ctx: &TxContext): (u64, bool) { (ctx.digest().length(), ctx.sender() == @0x0) }

public fun fresh(ctx: &mut TxContext): vector<bool> {
    let a = ctx.fresh_object_address();
    let b = ctx.fresh_object_address();
    let c = thing(0, ctx);
    let id = object::id(&c);
    let found = vector[a == b, object::id_to_address(&id) == a, bcs::to_bytes(&id) == id.to_bytes()];
    unmake(c);
    found
}

public fun emit(value: u64) { event::emit(Happened { value }); }

public fun across_modules(n: u64): u64 { data::sum(n) + data::fail_if(n, 100) }

public fun sent(value: u64, ctx: &mut TxContext): u64 {
    let thing = thing(value, ctx);
    transfer::public_transfer(thing, ctx.sender());
    value
}

public fun shared(value: u64, ctx: &mut TxContext) { transfer::public_share_object(thing(value, ctx)); }
