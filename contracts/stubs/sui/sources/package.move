module sui::package;

public use fun upgrade_package as UpgradeCap.package;
public use fun upgrade_policy as UpgradeCap.policy;
public use fun authorize_upgrade as UpgradeCap.authorize;
public use fun commit_upgrade as UpgradeCap.commit;
public use fun receipt_package as UpgradeReceipt.package;

public struct UpgradeCap has key, store {
    id: UID,
    package: ID,
    version: u64,
    policy: u8,
}

public struct UpgradeTicket {
    cap: ID,
    package: ID,
    policy: u8,
    digest: vector<u8>,
}

public struct UpgradeReceipt {
    cap: ID,
    package: ID,
}

public native fun upgrade_package(cap: &UpgradeCap): ID;
public native fun version(cap: &UpgradeCap): u64;
public native fun upgrade_policy(cap: &UpgradeCap): u8;
public native fun receipt_package(receipt: &UpgradeReceipt): ID;
public native fun authorize_upgrade(cap: &mut UpgradeCap, policy: u8, digest: vector<u8>): UpgradeTicket;
public native fun commit_upgrade(cap: &mut UpgradeCap, receipt: UpgradeReceipt);
