// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::transfer;

public struct Receiving<phantom T: key> has drop { id: ID, version: u64 }

public fun transfer<T: key>(obj: T, recipient: address) { transfer_impl(obj, recipient) }

public fun public_transfer<T: key + store>(obj: T, recipient: address) { transfer_impl(obj, recipient) }

public fun share_object<T: key>(obj: T) { share_object_impl(obj) }

public fun public_share_object<T: key + store>(obj: T) { share_object_impl(obj) }
public(package) native fun freeze_object_impl<T: key>(obj: T);
public(package) native fun share_object_impl<T: key>(obj: T);
public(package) native fun transfer_impl<T: key>(obj: T, recipient: address);
