"""encrypt|decrypt KEY_HEX AD_HEX < in > out, with Google's own implementation of the format."""
import io, sys
import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2 as streaming, common_pb2, tink_pb2

verb, key_hex, ad_hex = sys.argv[1:]
streaming_aead.register()
params = streaming.AesGcmHkdfStreamingParams(
    ciphertext_segment_size=1 << 20, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256)
key = streaming.AesGcmHkdfStreamingKey(key_value=bytes.fromhex(key_hex), params=params)
keyset = tink_pb2.Keyset(primary_key_id=1)
data = tink_pb2.KeyData(type_url='type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey',
                        value=key.SerializeToString(), key_material_type=tink_pb2.KeyData.SYMMETRIC)
keyset.key.add(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
primitive = handle.primitive(streaming_aead.StreamingAead)


class Kept(io.BytesIO):
    def close(self):
        self.kept = self.getvalue()
        super().close()


if verb == 'encrypt':
    out = Kept()
    with primitive.new_encrypting_stream(out, bytes.fromhex(ad_hex)) as stream:
        stream.write(sys.stdin.buffer.read())
    sys.stdout.buffer.write(out.kept)
else:
    with primitive.new_decrypting_stream(io.BytesIO(sys.stdin.buffer.read()), bytes.fromhex(ad_hex)) as stream:
        sys.stdout.buffer.write(stream.read())
