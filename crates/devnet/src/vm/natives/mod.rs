//! Native functions of the framework.
//!
//! Each takes its arguments from the operand stack, the last one first, and leaves its results
//! there. A function that is not in [`find`] is [`VmError::Unsupported`](super::VmError) when called.

mod costs;
mod crypto;
mod dynamic_field;
mod ecdsa;
mod nitro;
mod object;
mod std_lib;
mod tx_context;
mod type_name;
mod vector;

use sui_sdk_types::Address;

use super::fault::Step;
use super::machine::Machine;
use super::types::{STD, Type};

pub(crate) use type_name::names_witness;

/// A native function.
pub(crate) type Native = fn(&mut Machine<'_>, &[Type]) -> Step<()>;

/// The native function of that name and what calling it costs in internal units of gas.
pub(crate) fn find(package: Address, module: &str, function: &str) -> Option<(Native, u64)> {
    let native = if package == STD { find_std(module, function) } else { find_sui(module, function) };
    native.map(|native| (native, costs::base(package, module, function)))
}

fn find_std(module: &str, function: &str) -> Option<Native> {
    Some(match (module, function) {
        ("bcs", "to_bytes") => std_lib::to_bytes,
        ("debug", "print") => std_lib::print,
        ("debug", "print_stack_trace") => std_lib::print_stack_trace,
        ("hash", "sha2_256") => crypto::sha2_256,
        ("hash", "sha3_256") => crypto::sha3_256,
        ("string", "internal_check_utf8") => std_lib::check_utf8,
        ("string", "internal_is_char_boundary") => std_lib::is_char_boundary,
        ("string", "internal_sub_string") => std_lib::sub_string,
        ("string", "internal_index_of") => std_lib::index_of,
        ("type_name", "with_defining_ids" | "get") => type_name::with_defining_ids,
        ("type_name", "with_original_ids" | "get_with_original_ids") => type_name::with_original_ids,
        ("type_name", "defining_id") => type_name::defining_id,
        ("type_name", "original_id") => type_name::original_id,
        ("vector", "empty") => vector::empty,
        ("vector", "length") => vector::length,
        ("vector", "borrow" | "borrow_mut") => vector::borrow,
        ("vector", "push_back") => vector::push_back,
        ("vector", "pop_back") => vector::pop_back,
        ("vector", "destroy_empty") => vector::destroy_empty,
        ("vector", "swap") => vector::swap,
        _ => return None,
    })
}

fn find_sui(module: &str, function: &str) -> Option<Native> {
    Some(match (module, function) {
        ("address", "to_u256") => std_lib::address_to_u256,
        ("address", "from_u256") => std_lib::address_from_u256,
        ("address", "from_bytes") => std_lib::address_from_bytes,
        ("dynamic_field", "hash_type_and_key") => dynamic_field::hash_type_and_key,
        ("dynamic_field", "add_child_object") => dynamic_field::add,
        ("dynamic_field", "borrow_child_object" | "borrow_child_object_mut") => dynamic_field::borrow,
        ("dynamic_field", "remove_child_object") => dynamic_field::remove,
        ("dynamic_field", "has_child_object") => dynamic_field::has,
        ("dynamic_field", "has_child_object_with_ty") => dynamic_field::has_with_type,
        ("ecdsa_k1", "decompress_pubkey") => ecdsa::k1_decompress,
        ("ecdsa_k1", "secp256k1_ecrecover") => ecdsa::k1_recover,
        ("ecdsa_k1", "secp256k1_verify") => ecdsa::k1_verify,
        ("ecdsa_r1", "secp256r1_ecrecover") => ecdsa::r1_recover,
        ("ecdsa_r1", "secp256r1_verify") => ecdsa::r1_verify,
        ("ed25519", "ed25519_verify") => crypto::ed25519_verify,
        ("event", "emit") => object::emit,
        ("hash", "blake2b256") => crypto::blake2b256,
        ("hash", "keccak256") => crypto::keccak256,
        ("hmac", "hmac_sha3_256") => crypto::hmac_sha3_256,
        ("nitro_attestation", "load_nitro_attestation_internal") => nitro::load,
        ("object", "borrow_uid") => object::borrow_uid,
        ("object", "delete_impl") => object::delete,
        ("object", "record_new_uid") => object::record_new,
        ("transfer", "freeze_object_impl") => object::freeze,
        ("transfer", "share_object_impl") => object::share,
        ("transfer", "transfer_impl") => object::transfer,
        ("transfer", "receive_impl") => object::receive,
        ("tx_context", "native_sender") => tx_context::sender,
        ("tx_context", "native_epoch") => tx_context::epoch,
        ("tx_context", "native_epoch_timestamp_ms") => tx_context::epoch_timestamp_ms,
        ("tx_context", "fresh_id") => tx_context::fresh_id,
        ("tx_context", "native_rgp") => tx_context::reference_gas_price,
        ("tx_context", "native_gas_price") => tx_context::gas_price,
        ("tx_context", "native_ids_created") => tx_context::ids_created,
        ("tx_context", "native_gas_budget") => tx_context::gas_budget,
        ("tx_context", "native_sponsor") => tx_context::sponsor,
        ("tx_context", "derive_id") => tx_context::derive_id,
        ("types", "is_one_time_witness") => type_name::is_one_time_witness,
        _ => return None,
    })
}
