set(extra LibXml2::LibXml2 ZLIB::ZLIB PkgConfig::cmark)
