// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
#[test_only]
module sui::test_scenario;

use sui::vec_map::VecMap;

public struct Scenario { txn_number: u64, ctx: TxContext }

public struct TransactionEffects has drop {
    created: vector<ID>,
    written: vector<ID>,
    deleted: vector<ID>,
    transferred_to_account: VecMap<ID, address>,
    transferred_to_object: VecMap<ID, ID>,
    shared: vector<ID>,
    frozen: vector<ID>,
    num_user_events: u64,
}

public fun begin(sender: address): Scenario {
    Scenario { txn_number: 0, ctx: sui::tx_context::new_from_hint(sender, 0) }
}

public fun next_tx(scenario: &mut Scenario, sender: address): TransactionEffects {
    scenario.txn_number = scenario.txn_number + 1;
    scenario.ctx = sui::tx_context::new_from_hint(sender, scenario.txn_number);
    end_transaction()
}

public fun end(scenario: Scenario): TransactionEffects { let Scenario { .. } = scenario; end_transaction() }

public fun ctx(scenario: &mut Scenario): &mut TxContext { &mut scenario.ctx }

public fun sender(scenario: &Scenario): address { scenario.ctx.sender() }

public fun num_user_events(effects: &TransactionEffects): u64 { effects.num_user_events }

public native fun take_from_address_by_id<T: key>(scenario: &Scenario, account: address, id: ID): T;
public native fun most_recent_id_for_address<T: key>(account: address): Option<ID>;
public native fun ids_for_address<T: key>(account: address): vector<ID>;
public fun take_from_address<T: key>(scenario: &Scenario, account: address): T {
    let id = most_recent_id_for_address<T>(account);
    take_from_address_by_id(scenario, account, id.destroy_some())
}

public fun return_to_address<T: key>(account: address, t: T) {
    assert!(was_taken_from_address(account, object::id(&t)), 2);
    sui::transfer::transfer_impl(t, account)
}

public native fun was_taken_from_address(account: address, id: ID): bool;
public fun take_from_sender<T: key>(scenario: &Scenario): T { take_from_address(scenario, sender(scenario)) }

public fun return_to_sender<T: key>(scenario: &Scenario, t: T) { return_to_address(sender(scenario), t) }

public native fun take_shared_by_id<T: key>(scenario: &Scenario, id: ID): T;
public native fun most_recent_id_shared<T: key>(): Option<ID>;
public fun has_most_recent_shared<T: key>(): bool { most_recent_id_shared<T>().is_some() }

public fun take_shared<T: key>(scenario: &Scenario): T {
    take_shared_by_id(scenario, most_recent_id_shared<T>().destroy_some())
}

public fun return_shared<T: key>(t: T) {
    assert!(was_taken_shared(object::id(&t)), 2);
    sui::transfer::share_object_impl(t)
}

native fun was_taken_shared(id: ID): bool;
native fun end_transaction(): TransactionEffects;
