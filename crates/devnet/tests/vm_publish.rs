//! Publishing: addresses, `init`, one-time witnesses, upgrades, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod vm_support;

use std::collections::BTreeMap;

use devnet::vm::{ChildFate, Limits, NewOwner, Publication, Resource, Session, Vm, VmError, module_name};
use sui_sdk_types::Address;
use vm_support::{Memory, STD, SUI, call, context, id, session, with_framework};

const PACKAGE: Address = Address::from_static("0xabc");
const UPGRADED: Address = Address::from_static("0xdef");

fn read(path: &str) -> Vec<u8> {
    let path = format!("{}/tests/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn oracle_probe() -> Vec<Vec<u8>> {
    ["data", "numbers", "objects"].map(|name| read(&format!("oracle/probe/build/{name}.mv"))).to_vec()
}

fn publication(modules: Vec<Vec<u8>>) -> Publication {
    Publication {
        id: PACKAGE,
        original: PACKAGE,
        modules,
        linkage: BTreeMap::from([(STD, STD), (SUI, SUI)]),
        type_origins: BTreeMap::new(),
    }
}

fn bcs<T: serde::Serialize>(value: &T) -> Vec<u8> {
    bcs::to_bytes(value).expect("encodable")
}

#[test]
fn init_runs_with_a_genuine_witness() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let published = session.publish(publication(vec![read("probe/build/probe.mv")])).unwrap();
    assert_eq!(published.initializers, [id("probe")]);
    assert!(published.datatypes.contains(&(id("probe"), id("PROBE"))));
    assert!(published.dependencies.contains(&SUI));
    session.initialize(&published, PACKAGE).unwrap();
    let output = session.finish().unwrap();
    let born = output.transfers.iter().find(|sent| sent.ty.name().as_str() == "Born").expect("init made one");
    assert_eq!(*born.ty.address(), PACKAGE);
    assert_eq!(born.owner, NewOwner::Address(context().sender));
    // The last byte says whether the witness was genuine.
    assert_eq!(born.contents.last(), Some(&1));
}

#[test]
fn a_published_package_is_called_at_its_address_now_and_later() {
    let (vm, mut memory) = (Vm::new(), with_framework());
    let mut first = session(&vm, &memory);
    let published = first.publish(publication(oracle_probe())).unwrap();
    let args = [bcs(&10u64)];
    let now = call(&mut first, PACKAGE, "data", "sum", &[], &args).unwrap();
    drop(first);
    // Nobody else sees it until it is in the chain.
    let error = call(&mut session(&vm, &memory), PACKAGE, "data", "sum", &[], &args).unwrap_err();
    assert!(matches!(error, VmError::MissingModule { package: PACKAGE, .. }), "{error}");
    memory.install(PACKAGE, &published);
    assert_eq!(call(&mut session(&vm, &memory), PACKAGE, "data", "sum", &[], &args).unwrap(), now);
}

#[test]
fn an_upgrade_keeps_its_types() {
    let (vm, mut memory) = (Vm::new(), with_framework());
    let published = session(&vm, &memory).publish(publication(oracle_probe())).unwrap();
    memory.install(PACKAGE, &published);
    let mut session = session(&vm, &memory);
    let upgrade = Publication {
        id: UPGRADED,
        type_origins: published.datatypes.iter().map(|datatype| (datatype.clone(), PACKAGE)).collect(),
        ..publication(oracle_probe())
    };
    session.publish(upgrade).unwrap();
    let info = session.function(UPGRADED, &id("data"), &id("line"), &[]).unwrap();
    assert_eq!(info.returns[0].ty, format!("{PACKAGE}::data::Line").parse().unwrap());
}

#[test]
fn bad_packages_are_refused_with_the_reason() {
    let (vm, memory) = (Vm::new(), with_framework());
    let refused =
        |publication: Publication| session(&vm, &memory).publish(publication).unwrap_err().to_string();

    assert!(refused(publication(Vec::new())).contains("no modules"));
    let twice = vec![oracle_probe()[0].clone(), oracle_probe()[0].clone()];
    assert!(refused(publication(twice)).contains("twice"));
    // `objects` uses `data`.
    let alone = vec![oracle_probe()[2].clone()];
    assert!(refused(publication(alone)).contains("there is no module"));
    let unlinked = Publication { linkage: BTreeMap::from([(STD, STD)]), ..publication(oracle_probe()) };
    assert!(refused(unlinked).contains("no dependency"));
    let foreign = vec![devnet::framework::load(&vm_support::framework_path()).unwrap().sui[0].clone()];
    assert!(refused(publication(foreign)).contains("address"));
}

/// The contracts as they are committed, compiled against `contracts/stubs`.
fn contracts() -> Vec<Vec<u8>> {
    let build = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/build");
    let files = std::fs::read_dir(build).unwrap().map(|entry| entry.unwrap().path());
    let modules = files.filter(|path| path.extension().is_some_and(|extension| extension == "mv"));
    modules.map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn what_the_contracts_use_of_the_framework_is_what_it_declares() {
    let (vm, memory) = (Vm::new(), with_framework());
    session(&vm, &memory).publish(publication(contracts())).unwrap();
    // A stub with another name, and one with another signature: `zero` takes nothing where `join` takes two.
    for (from, to, expected) in [
        (&b"\x04join"[..], &b"\x04jump"[..], "there is no function jump"),
        (b"\x04join", b"\x04zero", "function zero is not what it is declared as"),
    ] {
        let mut changed = contracts();
        let staking = changed
            .iter_mut()
            .find(|module| module_name(module).is_ok_and(|(_, name)| name.as_str() == "staking"))
            .unwrap();
        let at = staking.windows(from.len()).position(|bytes| bytes == from).unwrap();
        staking[at..at + to.len()].copy_from_slice(to);
        let error = session(&vm, &memory).publish(publication(changed)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn nothing_runs_forever() {
    let (vm, mut memory) = (Vm::new(), with_framework());
    let published = session(&vm, &memory).publish(publication(oracle_probe())).unwrap();
    memory.install(PACKAGE, &published);

    let mut few = Session::new(&vm, &memory, context(), Limits { instructions: 100, ..Limits::default() });
    let error = call(&mut few, PACKAGE, "data", "sum", &[], &[bcs(&1000u64)]).unwrap_err();
    assert_eq!(error, VmError::OutOf(Resource::Instructions));
    assert_eq!(few.instructions(), 100);

    // A copy of a thousand numbers costs more than the few instructions that make it.
    let mut much = session(&vm, &memory);
    assert_eq!(call(&mut much, PACKAGE, "data", "hoard", &[], &[bcs(&2u64)]).unwrap(), [bcs(&2000u64)]);
    let error = call(&mut much, PACKAGE, "data", "hoard", &[], &[bcs(&1000u64)]).unwrap_err();
    assert_eq!(error, VmError::OutOf(Resource::Instructions));

    let mut deep = session(&vm, &memory);
    let error = call(&mut deep, PACKAGE, "data", "fail_deeply", &[], &[bcs(&100_000u64)]).unwrap_err();
    // Each call leaves a value on the operand stack, which has as many places as calls may nest.
    assert_eq!(error, VmError::OutOf(Resource::Stack));

    let mut nested = "u8".to_owned();
    for _ in 0..100 {
        nested = format!("vector<{nested}>");
    }
    if let Ok(tag) = nested.parse() {
        let error = session(&vm, &memory).abilities(&tag).unwrap_err();
        assert_eq!(error, VmError::OutOf(Resource::TypeDepth));
    }
}

/// A session that runs one function of the oracle's probe, and what it did.
fn run(memory: &Memory, vm: &Vm, function: &str, args: &[Vec<u8>]) -> devnet::vm::SessionOutput {
    let mut session = session(vm, memory);
    call(&mut session, PACKAGE, "objects", function, &[], args).expect("it runs");
    session.finish().expect("it ends")
}

#[test]
fn what_a_session_did_is_told() {
    let (vm, mut memory) = (Vm::new(), with_framework());
    let published = session(&vm, &memory).publish(publication(oracle_probe())).unwrap();
    memory.install(PACKAGE, &published);

    let emitted = run(&memory, &vm, "emit", &[bcs(&7u64)]);
    assert_eq!(emitted.events.len(), 1);
    assert_eq!(emitted.events[0].contents, bcs(&7u64));
    assert_eq!((emitted.events[0].package, emitted.events[0].module.as_str()), (PACKAGE, "objects"));

    let shared = run(&memory, &vm, "shared", &[bcs(&1u64)]);
    assert_eq!(shared.transfers[0].owner, NewOwner::Shared);
    assert!(shared.created.contains(&shared.transfers[0].id));

    // Made and unmade in one transaction: nothing remains.
    let nothing = run(&memory, &vm, "field", &[bcs(&1u64), bcs(&2u64), bcs(&2u64)]);
    assert!(nothing.created.is_empty() && nothing.deleted.is_empty() && nothing.children.is_empty());
}

#[test]
fn dynamic_fields_of_the_chain_are_loaded_changed_and_removed() {
    let (vm, mut memory) = (Vm::new(), with_framework());
    // A table from an earlier transaction.
    let mut make = session(&vm, &memory);
    let types = ["u64".parse().unwrap(), "u64".parse().unwrap()];
    let table = call(&mut make, SUI, "table", "new", &types, &[]).unwrap().remove(0);
    let table_id = Address::from_bytes(&table[..32]).unwrap();
    let field_id = table_id.derive_dynamic_child_id(&"u64".parse().unwrap(), &bcs(&5u64));
    let ty = "0x2::dynamic_field::Field<u64, u64>".parse().unwrap();
    let contents = bcs(&(field_id, 5u64, 50u64)).into();
    let stored = devnet::vm::StoredObject { version: 9, ty, contents };
    memory.children.insert((table_id, field_id), stored);
    let mut table = table;
    table[32] = 1;

    let mut reader = session(&vm, &memory);
    let found = call(&mut reader, SUI, "table", "contains", &types, &[table.clone(), bcs(&5u64)]).unwrap();
    assert_eq!(found, [vec![1]]);
    let output = reader.finish().unwrap();
    assert_eq!((output.loaded.len(), output.loaded[0].version), (1, 9));
    assert!(output.children.is_empty(), "reading changes nothing");

    let mut remover = session(&vm, &memory);
    let removed = call(&mut remover, SUI, "table", "remove", &types, &[table.clone(), bcs(&5u64)]).unwrap();
    assert_eq!(removed, [bcs(&50u64)]);
    let output = remover.finish().unwrap();
    assert_eq!(output.children.len(), 1);
    assert_eq!((output.children[0].id, &output.children[0].fate), (field_id, &ChildFate::Removed));
    assert!(output.deleted.contains(&field_id), "the field's own identifier is deleted");

    let mut adder = session(&vm, &memory);
    let error =
        call(&mut adder, SUI, "table", "add", &types, &[table.clone(), bcs(&5u64), bcs(&1u64)]).unwrap_err();
    assert!(matches!(error, VmError::Abort { code: 0, .. }), "{error}");
    let mut adder = session(&vm, &memory);
    call(&mut adder, SUI, "table", "add", &types, &[table, bcs(&6u64), bcs(&60u64)]).unwrap();
    let output = adder.finish().unwrap();
    let added = &output.children[0];
    assert_eq!(added.parent, table_id);
    let ChildFate::Written { contents, has_public_transfer, .. } = &added.fate else { panic!("{added:?}") };
    assert_eq!(contents[32..], bcs(&(6u64, 60u64)));
    assert!(!has_public_transfer);
}
