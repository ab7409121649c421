"""The only code that speaks to the API server: requests (`client`), their JSON (`codec`, pure), watching
(`reflector`)."""
