/// An upgrade that would change the signature of a public function.
module versioned::versioned;

public struct Old has key, store {
    id: UID,
}

public struct New has key, store {
    id: UID,
    old: Old,
}

public fun make(ctx: &mut TxContext): Old {
    Old { id: object::new(ctx) }
}

public fun renew(old: Old, ctx: &mut TxContext): New {
    New { id: object::new(ctx), old }
}

public fun version(): u32 {
    2
}
