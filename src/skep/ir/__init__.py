"""What a proxy must do, in our own words: the wall between what users declare and how a proxy is told.

Records only. No Envoy word, no Kubernetes word, no behaviour.
"""
