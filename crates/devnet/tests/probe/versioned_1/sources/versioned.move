/// The first version of a package that is upgraded.
module versioned::versioned;

public struct Old has key, store {
    id: UID,
}

public fun make(ctx: &mut TxContext): Old {
    Old { id: object::new(ctx) }
}

public fun version(): u64 {
    1
}
