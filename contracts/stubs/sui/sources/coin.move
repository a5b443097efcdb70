module sui::coin;

use sui::balance::Balance;

public struct Coin<phantom T> has key, store {
    id: UID,
    balance: Balance<T>,
}

public native fun value<T>(self: &Coin<T>): u64;
public native fun balance<T>(coin: &Coin<T>): &Balance<T>;
public native fun balance_mut<T>(coin: &mut Coin<T>): &mut Balance<T>;
public native fun from_balance<T>(balance: Balance<T>, ctx: &mut TxContext): Coin<T>;
public native fun into_balance<T>(coin: Coin<T>): Balance<T>;
public native fun take<T>(balance: &mut Balance<T>, value: u64, ctx: &mut TxContext): Coin<T>;
public native fun put<T>(balance: &mut Balance<T>, coin: Coin<T>);
public native fun join<T>(self: &mut Coin<T>, c: Coin<T>);
public native fun split<T>(self: &mut Coin<T>, split_amount: u64, ctx: &mut TxContext): Coin<T>;
public native fun zero<T>(ctx: &mut TxContext): Coin<T>;
public native fun destroy_zero<T>(c: Coin<T>);
