"""The container that AVIF, HEIF and JPEG 2000 share (ISO/IEC 14496-12): boxes, items, and AV1 streams in them."""
