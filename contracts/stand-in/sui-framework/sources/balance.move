// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::balance;

public struct Balance<phantom T> has store { value: u64 }

public fun value<T>(self: &Balance<T>): u64 { self.value }

public fun join<T>(self: &mut Balance<T>, balance: Balance<T>): u64 {
    let Balance { value } = balance;
    self.value = self.value + value;
    self.value
}

#[test_only]
public fun create_for_testing<T>(value: u64): Balance<T> { Balance { value } }

#[test_only]
public fun destroy_for_testing<T>(self: Balance<T>): u64 { let Balance { value } = self; value }

public fun zero<T>(): Balance<T> { Balance { value: 0 } }

public fun split<T>(self: &mut Balance<T>, value: u64): Balance<T> {
    assert!(self.value >= value, 2);
    self.value = self.value - value;
    Balance { value }
}

public fun withdraw_all<T>(self: &mut Balance<T>): Balance<T> { let value = self.value; split(self, value) }

public fun destroy_zero<T>(balance: Balance<T>) {
    assert!(balance.value == 0, 0);
    let Balance { value: _ } = balance;
}
