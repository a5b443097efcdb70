/// What the tests of the development chain publish: one function for everything that can happen to an object.
module probe::probe;

use std::string::String;
use sui::clock::Clock;
use sui::dynamic_field;
use sui::dynamic_object_field;
use sui::event;
use sui::table::{Self, Table};
use sui::transfer::Receiving;

const ENotZero: u64 = 42;

/// The one-time witness.
public struct PROBE has drop {}

/// Made by `init`.
public struct Born has key {
    id: UID,
    genuine: bool,
}

public struct Item has key, store {
    id: UID,
    value: u64,
}

/// An object that only this module transfers.
public struct Bound has key {
    id: UID,
}

public struct Box has key {
    id: UID,
    item: Option<Item>,
}

public struct Counter has key {
    id: UID,
    count: u64,
    names: Table<String, u64>,
}

/// Must be consumed.
public struct Potato {}

public struct Note has copy, drop, store {
    value: u64,
    text: String,
}

public struct Counted has copy, drop {
    counter: ID,
    count: u64,
    at_ms: u64,
}

fun init(witness: PROBE, ctx: &mut TxContext) {
    let genuine = sui::types::is_one_time_witness(&witness);
    transfer::transfer(Born { id: object::new(ctx), genuine }, ctx.sender());
}

public fun new_item(value: u64, ctx: &mut TxContext): Item {
    Item { id: object::new(ctx), value }
}

public fun set(item: &mut Item, value: u64) {
    item.value = value;
}

public fun value(item: &Item): u64 {
    item.value
}

public fun sum(items: vector<Item>): u64 {
    let mut items = items;
    let mut total = 0;
    while (!items.is_empty()) {
        let Item { id, value } = items.pop_back();
        id.delete();
        total = total + value;
    };
    items.destroy_empty();
    total
}

public fun delete(item: Item) {
    let Item { id, .. } = item;
    id.delete();
}

public fun freeze_item(item: Item) {
    transfer::public_freeze_object(item);
}

public fun bind(ctx: &mut TxContext) {
    transfer::transfer(Bound { id: object::new(ctx) }, ctx.sender());
}

public fun wrap(item: Item, ctx: &mut TxContext) {
    transfer::transfer(Box { id: object::new(ctx), item: option::some(item) }, ctx.sender());
}

public fun unwrap(holder: &mut Box): Item {
    holder.item.extract()
}

/// Deletes the box and what is in it.
public fun crush(holder: Box) {
    let Box { id, item } = holder;
    if (item.is_some()) delete(item.destroy_some()) else item.destroy_none();
    id.delete();
}

public fun share_counter(ctx: &mut TxContext) {
    transfer::share_object(Counter { id: object::new(ctx), count: 0, names: table::new(ctx) });
}

public fun increment(counter: &mut Counter, clock: &Clock) {
    counter.count = counter.count + 1;
    event::emit(Counted { counter: object::id(counter), count: counter.count, at_ms: clock.timestamp_ms() });
}

public fun count(counter: &Counter): u64 {
    counter.count
}

/// Ends a shared object.
public fun end(counter: Counter) {
    let Counter { id, names, .. } = counter;
    names.drop();
    id.delete();
}

/// Takes a shared object and shares it again.
public fun reshare(counter: Counter) {
    transfer::share_object(counter);
}

/// Takes a shared object and tries to keep it.
public fun keep(counter: Counter, ctx: &TxContext) {
    transfer::transfer(counter, ctx.sender());
}

public fun name(counter: &mut Counter, name: String, value: u64) {
    if (counter.names.contains(name)) {
        *(&mut counter.names[name]) = value;
    } else {
        counter.names.add(name, value);
    }
}

public fun unname(counter: &mut Counter, name: String): u64 {
    counter.names.remove(name)
}

public fun attach(item: &mut Item, name: String, child: Item) {
    dynamic_object_field::add(&mut item.id, name, child);
}

public fun detach(item: &mut Item, name: String): Item {
    dynamic_object_field::remove(&mut item.id, name)
}

public fun set_attached(item: &mut Item, name: String, value: u64) {
    let child: &mut Item = dynamic_object_field::borrow_mut(&mut item.id, name);
    child.value = value;
}

public fun note(item: &mut Item, key: u8, value: u64, text: String) {
    dynamic_field::add(&mut item.id, key, Note { value, text });
}

public fun receive(parent: &mut Item, sent: Receiving<Item>): Item {
    transfer::public_receive(&mut parent.id, sent)
}

public fun check_zero(value: u64) {
    assert!(value == 0, ENotZero);
}

public fun divide(a: u64, b: u64): u64 {
    a / b
}

public fun cook(): Potato {
    Potato {}
}

public fun eat(potato: Potato) {
    let Potato {} = potato;
}

public fun spin(rounds: u64): u64 {
    let mut i = 0;
    let mut sum = 0;
    while (i < rounds) {
        sum = sum ^ i;
        i = i + 1;
    };
    sum
}

public fun many(ctx: &mut TxContext): (u64, Item, vector<u8>) {
    (7, new_item(8, ctx), b"nine")
}

public fun last<T>(values: &mut vector<T>): T {
    values.pop_back()
}

public fun concat(a: String, b: &String, c: Option<String>): String {
    let mut joined = a;
    joined.append(*b);
    if (c.is_some()) joined.append(c.destroy_some());
    joined
}

entry fun only_entry(value: u64): u64 {
    value + 1
}

fun hidden() {}

public fun use_hidden() {
    hidden();
}
