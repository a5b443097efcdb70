// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::package;

public use fun upgrade_package as UpgradeCap.package;
public use fun upgrade_policy as UpgradeCap.policy;
public use fun authorize_upgrade as UpgradeCap.authorize;
public use fun commit_upgrade as UpgradeCap.commit;
public use fun receipt_package as UpgradeReceipt.package;

public struct UpgradeCap has key, store { id: UID, package: ID, version: u64, policy: u8 }

public struct UpgradeTicket { cap: ID, package: ID, policy: u8, digest: vector<u8> }

public struct UpgradeReceipt { cap: ID, package: ID }

public fun upgrade_package(cap: &UpgradeCap): ID { cap.package }

public fun version(cap: &UpgradeCap): u64 { cap.version }

public fun upgrade_policy(cap: &UpgradeCap): u8 { cap.policy }

public fun receipt_package(receipt: &UpgradeReceipt): ID { receipt.package }

public fun authorize_upgrade(cap: &mut UpgradeCap, policy: u8, digest: vector<u8>): UpgradeTicket {
    let zero = object::id_from_address(@0x0);
    assert!(cap.package != zero, 2);
    assert!(policy >= cap.policy, 1);
    let package = cap.package;
    cap.package = zero;
    UpgradeTicket { cap: object::id(cap), package, policy, digest }
}

public fun commit_upgrade(cap: &mut UpgradeCap, receipt: UpgradeReceipt) {
    let UpgradeReceipt { cap: id, package } = receipt;
    assert!(object::id(cap) == id, 4);
    cap.package = package;
    cap.version = cap.version + 1;
}

#[test_only]
public fun test_publish(package: ID, ctx: &mut TxContext): UpgradeCap {
    UpgradeCap { id: object::new(ctx), package, version: 1, policy: 0 }
}

#[test_only]
public fun test_upgrade(ticket: UpgradeTicket): UpgradeReceipt {
    let UpgradeTicket { cap, package: _, policy: _, digest: _ } = ticket;
    UpgradeReceipt { cap, package: object::id_from_address(@0xFACE) }
}
