module sui::transfer;

public native fun transfer<T: key>(obj: T, recipient: address);
public native fun public_transfer<T: key + store>(obj: T, recipient: address);
public native fun freeze_object<T: key>(obj: T);
public native fun public_freeze_object<T: key + store>(obj: T);
public native fun share_object<T: key>(obj: T);
public native fun public_share_object<T: key + store>(obj: T);
