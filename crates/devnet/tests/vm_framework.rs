//! The interpreter runs the real framework.

mod vm_support;

use devnet::vm::{NewOwner, Vm, VmError};
use sui_sdk_types::TypeTag;
use vm_support::{SENDER, STD, SUI, call, framework_modules, id, session, with_framework};

fn bcs<T: serde::Serialize>(value: &T) -> Vec<u8> {
    bcs::to_bytes(value).expect("encodable")
}

#[test]
fn every_framework_module_links() {
    let (vm, memory) = (Vm::new(), with_framework());
    let modules = framework_modules();
    assert!(modules.len() > 80);
    for (package, bytes) in modules {
        let (_, name) = devnet::vm::module_name(&bytes).unwrap();
        let mut session = session(&vm, &memory);
        // Looking up a function that is not there links the module first.
        let error = session.function(package, &name, &id("no_such_function"), &[]).unwrap_err();
        assert!(matches!(error, VmError::MissingFunction { .. }), "{name}: {error}");
    }
}

#[test]
fn coins_are_split_joined_and_sent() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let sui: TypeTag = "0x2::sui::SUI".parse().unwrap();
    let types = [sui];
    let coin = bcs(&([9u8; 32], 1000u64));
    let halves = call(&mut session, SUI, "coin", "split", &types, &[coin.clone(), bcs(&400u64)]).unwrap();
    assert_eq!(halves.len(), 1);
    assert_eq!(halves[0][32..], bcs(&400u64));
    let expected = sui_sdk_types::Address::derive_id([7; 32].into(), 0);
    assert_eq!(&halves[0][..32], expected.as_bytes());

    let error = call(&mut session, SUI, "coin", "split", &types, &[coin, bcs(&1001u64)]).unwrap_err();
    let VmError::Abort { location, code } = error else { panic!("{error}") };
    assert_eq!((location.module.as_str(), location.function_name.as_str(), code), ("balance", "split", 2));

    let coin_type: TypeTag = "0x2::coin::Coin<0x2::sui::SUI>".parse().unwrap();
    call(&mut session, SUI, "transfer", "public_transfer", &[coin_type], &[halves[0].clone(), bcs(&SENDER)])
        .unwrap();
    let output = session.finish().unwrap();
    assert_eq!(output.transfers.len(), 1);
    let sent = &output.transfers[0];
    assert_eq!((sent.id, sent.owner, sent.has_public_transfer), (expected, NewOwner::Address(SENDER), true));
    assert_eq!(sent.contents, halves[0]);
    assert!(output.created.contains(&expected));
}

#[test]
fn strings_are_strings() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let found = call(&mut session, STD, "string", "utf8", &[], &[bcs(&"grüezi".as_bytes())]).unwrap();
    assert_eq!(found, [bcs(&"grüezi")]);
    let error = call(&mut session, STD, "string", "utf8", &[], &[bcs(&vec![0xffu8])]).unwrap_err();
    assert!(matches!(error, VmError::Abort { code: 1, .. }), "{error}");
    let error = session.deserialize(&"0x1::string::String".parse().unwrap(), &[1, 0xff]).unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn a_missing_native_is_named() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let error = call(
        &mut session,
        SUI,
        "bls12381",
        "bls12381_min_sig_verify",
        &[],
        &[bcs(&vec![0u8]), bcs(&vec![0u8]), bcs(&vec![0u8])],
    )
    .unwrap_err();
    assert!(error.to_string().contains("bls12381::bls12381_min_sig_verify"), "{error}");
    assert!(matches!(error, VmError::Unsupported(_)));
}
