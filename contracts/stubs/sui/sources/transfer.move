module sui::transfer;

public native fun transfer<T: key>(obj: T, recipient: address);
public native fun public_transfer<T: key + store>(obj: T, recipient: address);
public native fun freeze_object<T: key>(obj: T);
public native fun public_freeze_object<T: key + store>(obj: T);
public native fun share_object<T: key>(obj: T);
public native fun public_share_object<T: key + store>(obj: T);

public struct Receiving<phantom T: key> has drop {
    id: ID,
    version: u64,
}

public native fun receive<T: key>(parent: &mut UID, to_receive: Receiving<T>): T;
public native fun public_receive<T: key + store>(parent: &mut UID, to_receive: Receiving<T>): T;
