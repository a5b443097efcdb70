/// An upgrade that would change the layout of a struct.
module versioned::versioned;

public struct Old has key, store {
    id: UID,
    more: u64,
}

public struct New has key, store {
    id: UID,
    old: Old,
}

public fun make(ctx: &mut TxContext): Old {
    Old { id: object::new(ctx), more: 1 }
}

public fun renew(old: Old, ctx: &mut TxContext): New {
    New { id: object::new(ctx), old }
}

public fun version(): u64 {
    2
}
